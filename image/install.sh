#!/bin/sh
# install.sh BINARIES ROOT: what the image adds to Debian, put under ROOT: the executables without their symbols, a list of the packages
# whose libraries they load, and one of those whose code is in them. Runs in the build stage of the Dockerfile.
set -eu
binaries=$1 root=$2
documents=$root/usr/share/doc/millrace

mkdir -p "$root/usr/local/bin" "$documents" "$root/var/lib/millrace"
chown 10001:10001 "$root/var/lib/millrace"
for program in coordinator worker; do
  strip --strip-unneeded -o "$root/usr/local/bin/$program" "$binaries/$program"
done
cp LICENSE image/sbom.sh "$documents/"

# ldd says /lib where dpkg knows /usr/lib, and the other way round: the library's name is what both agree on.
for program in coordinator worker; do
  ldd "$binaries/$program"
done | sed -n 's/.* => \(.*\) (0x.*/\1/p' | sort -u | while read -r library; do
  dpkg-query -S "*/$(basename "$library")" | cut -d: -f1 | head -n 1
done | sort -u >"$documents/packages"
echo ca-certificates >>"$documents/packages"
cat "$documents/packages"

# Linked statically, or headers alone.
# shellcheck disable=SC2016
dpkg-query -W -f '${Package} ${Version} ${Architecture} ${source:Package}\n' librocksdb-dev libboost-dev nlohmann-json3-dev cppzmq-dev \
  >"$documents/linked"
