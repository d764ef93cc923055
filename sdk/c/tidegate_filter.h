// What a filter in C needs: the host's calls, memory for what the host hands over, and a reader for its configuration.
//
// Freestanding: no C library. Include it in one file of a filter, which exports the callbacks that it wants:
//
//     EXPORT("proxy_on_request_headers")
//     uint32_t on_request_headers(uint32_t exchange, uint32_t headers, uint32_t end_of_stream) {
//         arena_reset();
//         replace_header(REQUEST_HEADERS, TEXT("x-greeting"), TEXT("hello"));
//         return CONTINUE;
//     }
//
// An instance of a filter serves one configuration, and one callback at a time: its static variables are its own. A
// call that fails traps, so that the failure policy of the attachment decides what becomes of the request.
#ifndef TIDEGATE_FILTER_H
#define TIDEGATE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define HOST(name) __attribute__((import_module("env"), import_name(name)))

// ---- text ----------------------------------------------------------------------------------------------------------

// Bytes that lie elsewhere. They end with their length, not with a NUL.
typedef struct {
    const char *at;
    uint32_t length;
} slice;

#define TEXT(literal) ((slice){(literal), sizeof(literal) - 1})

static inline bool slice_equals(slice a, slice b) {
    if (a.length != b.length) return false;
    for (uint32_t i = 0; i < a.length; i++) {
        if (a.at[i] != b.at[i]) return false;
    }
    return true;
}

static inline slice slice_start(slice text, uint32_t most) {
    return (slice){text.at, text.length < most ? text.length : most};
}

// Text in the making, in memory of a fixed size; what does not fit traps.
typedef struct {
    char *at;
    uint32_t length, capacity;
} writer;

#define WRITER(array) ((writer){(array), 0, sizeof(array)})

static inline void write_byte(writer *out, char byte) {
    if (out->length == out->capacity) __builtin_trap();
    out->at[out->length++] = byte;
}

static inline void write_text(writer *out, slice text) {
    for (uint32_t i = 0; i < text.length; i++) write_byte(out, text.at[i]);
}

static inline void write_number(writer *out, uint64_t number) {
    char digits[20];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count != 0) write_byte(out, digits[--count]);
}

static inline void write_hex(writer *out, const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        write_byte(out, "0123456789abcdef"[bytes[i] >> 4]);
        write_byte(out, "0123456789abcdef"[bytes[i] & 15]);
    }
}

static inline slice written(const writer *out) {
    return (slice){out->at, out->length};
}

// ---- memory --------------------------------------------------------------------------------------------------------

// What the host hands over is laid out one after the other until the next arena_reset(), which belongs at the start of
// each callback. What a configuration keeps for good is below the mark that arena_keep() sets.
extern uint8_t __heap_base;
static uintptr_t arena_floor, arena_next;

EXPORT("proxy_on_memory_allocate") void *arena_allocate(uint32_t size) {
    if (arena_next == 0) arena_next = arena_floor = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    const uint64_t end = (uint64_t)__builtin_wasm_memory_size(0) * 65536;
    const uintptr_t place = arena_next;
    const uint64_t next = (place + (uint64_t)size + 15) & ~(uint64_t)15;
    if (next > UINT32_MAX) return NULL;
    if (next > end && __builtin_wasm_memory_grow(0, (size_t)((next - end + 65535) / 65536)) == (size_t)-1) return NULL;
    arena_next = (uintptr_t)next;
    return (void *)place;
}

static inline void arena_reset(void) {
    arena_next = arena_floor;
}

static inline void arena_keep(void) {
    arena_floor = arena_next;
}

// ---- the host ------------------------------------------------------------------------------------------------------

EXPORT("proxy_abi_version_0_2_1") void tidegate_abi_version(void) {}

// What a callback for a part of a message answers.
enum { CONTINUE = 0, PAUSE = 1 };

enum { OK = 0, NOT_FOUND = 1 };

typedef enum { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_CRITICAL } log_level;

typedef enum { REQUEST_HEADERS = 0, REQUEST_TRAILERS = 1, RESPONSE_HEADERS = 2, RESPONSE_TRAILERS = 3 } header_map;

HOST("proxy_log") uint32_t proxy_log(uint32_t level, const char *at, uint32_t length);
HOST("proxy_get_current_time_nanoseconds") uint32_t proxy_get_current_time_nanoseconds(uint64_t *out);
HOST("proxy_get_buffer_bytes")
uint32_t proxy_get_buffer_bytes(uint32_t buffer, uint32_t start, uint32_t length, const char **at, uint32_t *got);
HOST("proxy_get_header_map_value")
uint32_t proxy_get_header_map_value(uint32_t map, const char *name, uint32_t name_length, const char **at,
                                    uint32_t *length);
HOST("proxy_replace_header_map_value")
uint32_t proxy_replace_header_map_value(uint32_t map, const char *name, uint32_t name_length, const char *value,
                                        uint32_t value_length);
HOST("proxy_add_header_map_value")
uint32_t proxy_add_header_map_value(uint32_t map, const char *name, uint32_t name_length, const char *value,
                                    uint32_t value_length);
HOST("proxy_remove_header_map_value")
uint32_t proxy_remove_header_map_value(uint32_t map, const char *name, uint32_t name_length);
HOST("proxy_send_local_response")
uint32_t proxy_send_local_response(uint32_t status, const char *details, uint32_t details_length, const char *body,
                                   uint32_t body_length, const char *headers, uint32_t headers_length, int32_t grpc);

static inline void must(uint32_t status) {
    if (status != OK) __builtin_trap();
}

static inline void log_text(log_level level, slice text) {
    must(proxy_log(level, text.at, text.length));
}

// Seconds since 1970.
static inline uint64_t now_seconds(void) {
    uint64_t nanoseconds = 0;
    must(proxy_get_current_time_nanoseconds(&nanoseconds));
    return nanoseconds / 1000000000u;
}

// The configuration, inside proxy_on_configure: JSON.
static inline slice get_configuration(uint32_t length) {
    slice text = {NULL, 0};
    if (length != 0) must(proxy_get_buffer_bytes(7, 0, length, &text.at, &text.length));
    return text;
}

// First value of a header, or of ":method", ":path", ":authority", ":scheme", ":status". Gives false without one.
static inline bool get_header(header_map map, slice name, slice *value) {
    *value = (slice){NULL, 0};
    const uint32_t status = proxy_get_header_map_value(map, name.at, name.length, &value->at, &value->length);
    if (status == NOT_FOUND) return false;
    must(status);
    return true;
}

// Sets a header to one value, whatever it had.
static inline void replace_header(header_map map, slice name, slice value) {
    must(proxy_replace_header_map_value(map, name.at, name.length, value.at, value.length));
}

static inline void add_header(header_map map, slice name, slice value) {
    must(proxy_add_header_map_value(map, name.at, name.length, value.at, value.length));
}

static inline void remove_header(header_map map, slice name) {
    must(proxy_remove_header_map_value(map, name.at, name.length));
}

// Answers in the place of the upstream; to be returned from the callback. The status is one from 200 to 599.
static inline uint32_t reply(uint32_t status, slice body) {
    must(proxy_send_local_response(status, NULL, 0, body.at, body.length, NULL, 0, -1));
    return PAUSE;
}

// ---- configuration -------------------------------------------------------------------------------------------------

// Refuses a configuration: the reason is logged with the name of the member at fault, or with none for the whole. To be
// returned from proxy_on_configure. What is longer than a line is cut.
static inline uint32_t refuse(slice member, slice reason) {
    char line[256];
    writer out = WRITER(line);
    write_text(&out, TEXT("config"));
    if (member.length != 0) {
        write_text(&out, TEXT("."));
        write_text(&out, slice_start(member, 64));
    }
    write_text(&out, TEXT(": "));
    write_text(&out, slice_start(reason, 128));
    log_text(LOG_ERROR, written(&out));
    return false;
}

// Reads a JSON object whose members are strings:
//
//     json_reader json = json_object(text);
//     for (slice name, value; json_member(&json, &name, &value);) { … }
//     if (json.is_broken) return json_refuse(&json);
typedef struct {
    const char *at, *end;
    bool is_first, is_broken;
    // What is wrong with the text, and the member that was read then.
    slice fault, name;
} json_reader;

static inline bool json_fail(json_reader *json, slice fault) {
    json->fault = fault;
    json->is_broken = true;
    return false;
}

// Refuses the text as a configuration; to be returned from proxy_on_configure.
static inline uint32_t json_refuse(const json_reader *json) {
    return refuse(json->name, json->fault);
}

static inline void json_spaces(json_reader *json) {
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')) {
        json->at++;
    }
}

// Skips spaces, then the byte that is expected.
static inline bool json_skip(json_reader *json, char expected) {
    json_spaces(json);
    if (json->at == json->end || *json->at != expected) return false;
    json->at++;
    return true;
}

// No text at all is an object without members.
static inline json_reader json_object(slice text) {
    if (text.length == 0) text = TEXT("{}");
    json_reader json = {.at = text.at, .end = text.at + text.length, .is_first = true};
    if (!json_skip(&json, '{')) json_fail(&json, TEXT("is no object"));
    return json;
}

// Four hexadecimal digits; UINT32_MAX for anything else.
static inline uint32_t json_hex(json_reader *json) {
    uint32_t number = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        if (json->at == json->end) return UINT32_MAX;
        const char digit = *json->at;
        const char lower = digit | 0x20;
        if (digit >= '0' && digit <= '9') {
            number = number * 16 + (uint32_t)(digit - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            number = number * 16 + (uint32_t)(lower - 'a' + 10);
        } else {
            return UINT32_MAX;
        }
    }
    return number;
}

// What follows `\u`, as UTF-8: one unit, or the two of a surrogate pair.
static inline bool json_unicode(json_reader *json, writer *out) {
    uint32_t code = json_hex(json);
    if (code >= 0xd800 && code < 0xdc00) {
        if (json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u') return false;
        json->at += 2;
        const uint32_t low = json_hex(json);
        if (low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code > 0xffff || (code >= 0xdc00 && code < 0xe000)) {
        return false;
    }
    if (code < 0x80) {
        write_byte(out, (char)code);
        return true;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    write_byte(out, (char)(leads[more] | (code >> (6 * more))));
    for (int i = more - 1; i >= 0; i--) write_byte(out, (char)(0x80 | ((code >> (6 * i)) & 0x3f)));
    return true;
}

static inline bool json_escape(json_reader *json, writer *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (json->at == json->end) return false;
    const char letter = *json->at++;
    if (letter == 'u') return json_unicode(json, out);
    for (uint32_t i = 0; i < sizeof letters - 1; i++) {
        if (letters[i] == letter) {
            write_byte(out, meanings[i]);
            return true;
        }
    }
    return false;
}

static inline bool json_string(json_reader *json, slice *value) {
    if (!json_skip(json, '"')) return json_fail(json, TEXT("must be a string"));
    // No escape is shorter than what it means.
    const uint32_t room = (uint32_t)(json->end - json->at);
    writer out = {arena_allocate(room), 0, room};
    if (out.at == NULL) __builtin_trap();
    while (json->at < json->end && *json->at != '"') {
        const char byte = *json->at++;
        if ((uint8_t)byte < 0x20) return json_fail(json, TEXT("has a control character"));
        if (byte != '\\') {
            write_byte(&out, byte);
        } else if (!json_escape(json, &out)) {
            return json_fail(json, TEXT("has a broken escape"));
        }
    }
    if (json->at == json->end) return json_fail(json, TEXT("ends inside a string"));
    json->at++;
    *value = written(&out);
    return true;
}

// The next member. Gives false at the end of the object, and when the text is broken.
static inline bool json_member(json_reader *json, slice *name, slice *value) {
    json->name = *name = (slice){NULL, 0};
    if (json->is_broken) return false;
    if (json_skip(json, '}')) {
        json_spaces(json);
        return json->at == json->end ? false : json_fail(json, TEXT("goes on after its end"));
    }
    if (!json->is_first && !json_skip(json, ',')) return json_fail(json, TEXT("lacks a comma"));
    json->is_first = false;
    if (!json_string(json, name)) return false;
    json->name = *name;
    if (!json_skip(json, ':')) return json_fail(json, TEXT("lacks a colon"));
    return json_string(json, value);
}

#endif
