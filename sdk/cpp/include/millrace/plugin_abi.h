/* What a plugin and its host say to each other: plain C, so that a plugin may be made by another compiler, against another
 * standard library, or in another language than the host.
 *
 * A plugin is a shared library with one function, `millrace_plugin_entry`, that answers a table of functions. Authors in
 * C++ include <millrace/plugin.h> instead, which makes all of this from a class.
 *
 * Versions. MILLRACE_PLUGIN_ABI grows when the meaning or the order of what stands here changes; a host refuses a table
 * of another version. Members that are added behind the last one of a struct do not change it: `size` tells which the
 * maker of the struct knew.
 *
 * Threads. An instance is used by one thread at a time, though not always by the same one. Several instances of one
 * plugin may be used at once, by several threads.
 *
 * Memory. What a struct points at belongs to whoever made the struct, and holds until the call that it is given to
 * returns. A pointer may be null where its size is 0.
 *
 * Determinism. What an instance does with a call may depend on that call alone: not on a clock, on randomness, on the
 * environment, on other calls or on what an instance did before. The same call is made again after a crash, in a replay
 * and in a verification, by another instance in another process, and has to come to the same.
 */
#ifndef MILLRACE_PLUGIN_ABI_H_
#define MILLRACE_PLUGIN_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_PLUGIN_ABI 1u

/* Bytes; text where it says so, without a zero at its end. */
typedef struct millrace_bytes {
  const char* data;
  size_t size;
} millrace_bytes;

typedef struct millrace_header {
  millrace_bytes name;
  millrace_bytes value;
} millrace_header;

/* How a value lies in memory. */
typedef enum millrace_shape {
  MILLRACE_RAW = 0,    /* bytes that nobody has looked into: a line of a `raw` source */
  MILLRACE_PACKED = 1, /* one MessagePack value */
  MILLRACE_ROW =
      2 /* an object: `field_count` MessagePack values, one behind the other, for the names in `fields` */
} millrace_shape;

/* One call: a record, or a timer that came due. */
typedef struct millrace_call {
  size_t size; /* of this struct, as the host knows it */

  uint32_t is_timer; /* 1: a timer. It has no value and no headers, and `time_ms` is when it was due */
  uint32_t ending;   /* 1: the input has ended, and what is pending is being finished */

  millrace_bytes key;
  uint32_t shape; /* millrace_shape */
  uint32_t field_count;
  millrace_bytes value;
  const millrace_bytes* fields;

  int64_t time_ms; /* event time, in milliseconds since 1970 */
  const millrace_header* headers;
  size_t header_count;

  /* Together the record's label: the same whenever it is run again, and no other record's. */
  uint32_t segment;
  uint32_t partition;
  uint64_t offset;
  uint32_t position;

  uint32_t has_state;   /* 0: the key has none */
  millrace_bytes state; /* one MessagePack value; of `keyed` alone */
} millrace_call;

/* A record that the plugin puts out. */
typedef struct millrace_output {
  size_t size;          /* of this struct, as the plugin knows it */
  millrace_bytes value; /* one MessagePack value: text in UTF-8, no extension types, at most 32 deep */
  uint32_t has_key;     /* 0: the key of the record that it comes of */
  uint32_t reserved;    /* 0 */
  millrace_bytes key;
  const millrace_header* headers; /* in addition to those of the record, or in their place */
  size_t header_count;
} millrace_output;

/* What a plugin may ask for while it is called, on the thread that called it. Nothing has an effect before the call
 * returns 0; when it returns anything else, nothing has had one. */
typedef struct millrace_host {
  size_t size;   /* of this struct, as the host knows it */
  void* context; /* the first argument of each */

  /* Puts out a record. The bytes are copied. */
  void (*emit)(void* context, const millrace_output* output);
  /* The key's state from now on: one MessagePack value; size 0 or nil: none. Of `keyed` alone. Copied. Without a call
   * the state stays as it is. */
  void (*set_state)(void* context, const char* data, size_t size);
  /* Has on_timer called for this key: in `ms` milliseconds of log time, or, with `event_time` 1, when event time has
   * passed `ms`. Of `keyed` alone. */
  void (*set_timer)(void* context, uint32_t event_time, int64_t ms);
  /* Why the call fails, in a line. To be followed by an answer other than 0. */
  void (*fail)(void* context, const char* text, size_t size);
} millrace_host;

/* The stages that a plugin can be. */
#define MILLRACE_KEYED 1u
#define MILLRACE_FLAT_MAP 2u

typedef struct millrace_plugin {
  uint32_t abi;      /* MILLRACE_PLUGIN_ABI */
  uint32_t size;     /* of this struct, as the plugin knows it */
  uint32_t kind;     /* MILLRACE_KEYED or MILLRACE_FLAT_MAP */
  uint32_t reserved; /* 0 */

  /* A new instance, which belongs to the host until `destroy`; null after `fail`. Of `host` only `fail` may be called. */
  void* (*create)(const millrace_host* host);
  void (*destroy)(void* instance);
  /* 0: done. Anything else: the call failed, and is the record's error. No exception may leave them. */
  int (*handle)(void* instance, const millrace_call* call, const millrace_host* host);
  int (*on_timer)(void* instance, const millrace_call* call,
                  const millrace_host* host); /* null: it sets no timers */
} millrace_plugin;

/* The one function that a plugin exports. What it answers holds as long as the process. */
typedef const millrace_plugin* (*millrace_plugin_entry_function)(void);
#define MILLRACE_PLUGIN_ENTRY "millrace_plugin_entry"

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MILLRACE_PLUGIN_ABI_H_ */
