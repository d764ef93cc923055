// Sets, reads and removes twenty headers of the request.

#include "tidegate_filter.h"

EXPORT("proxy_on_request_headers")
uint32_t on_request_headers(uint32_t exchange, uint32_t headers, uint32_t end_of_stream) {
    (void)exchange, (void)headers, (void)end_of_stream;
    arena_reset();
    for (uint32_t number = 0; number < 20; number++) {
        char name[16];
        writer out = WRITER(name);
        write_text(&out, TEXT("x-loop-"));
        write_number(&out, number);
        replace_header(REQUEST_HEADERS, written(&out), TEXT("value"));
        slice value;
        if (!get_header(REQUEST_HEADERS, written(&out), &value) || value.length != 5) __builtin_trap();
        remove_header(REQUEST_HEADERS, written(&out));
    }
    return CONTINUE;
}
