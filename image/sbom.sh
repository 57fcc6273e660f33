#!/bin/sh
# sbom.sh VERSION: the Debian packages that are installed here, those whose code is in the executables, and Millrace itself, as CycloneDX
# 1.5 on standard output.
set -eu
linked=/usr/share/doc/millrace/linked
# In a package's address (purl) a version's + and : are escaped.
# shellcheck disable=SC2016
components=$({
  dpkg-query -W -f '${Package} ${Version} ${Architecture} ${source:Package}\n'
  cat "$linked"
} | while read -r name version arch source; do
  escaped=$(printf %s "$version" | sed 's/+/%2B/g; s/:/%3A/g; s/~/%7E/g')
  printf ',{"type":"library","name":"%s","version":"%s","purl":"pkg:deb/debian/%s@%s?arch=%s&distro=debian-12","properties":[{"name":"debian:source","value":"%s"}]}' \
    "$name" "$version" "$name" "$escaped" "$arch" "$source"
done)
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"type":"application","name":"millrace","version":"%s"}},' "$1"
printf '"components":[{"type":"application","name":"millrace","version":"%s","licenses":[{"license":{"id":"Apache-2.0"}}]}%s]}\n' "$1" "$components"
