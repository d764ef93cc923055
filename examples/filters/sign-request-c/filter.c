// Signs each request with a secret that only the gateway and the upstream know.
//
// The upstream recomputes HMAC-SHA256(secret, method \n path \n seconds) and compares; what did not come through the
// gateway carries no valid signature. What a client sends under this name never reaches the upstream.
#include "hmac_sha256.h"
#include "tidegate_filter.h"

static const uint32_t min_secret_bytes = 16;

// Holds the secret already: per request only the message is hashed.
static hmac_key key;
static slice header;

EXPORT("proxy_on_configure") uint32_t on_configure(uint32_t plugin, uint32_t length) {
    (void)plugin;
    slice secret = {NULL, 0};
    header = TEXT("x-gateway-signature");
    json_reader json = json_object(get_configuration(length));
    for (slice name, value; json_member(&json, &name, &value);) {
        if (slice_equals(name, TEXT("secret"))) {
            secret = value;
        } else if (slice_equals(name, TEXT("header"))) {
            header = value;
        } else {
            return refuse(name, TEXT("is not known"));
        }
    }
    if (json.is_broken) return json_refuse(&json);
    if (secret.length < min_secret_bytes) return refuse(TEXT("secret"), TEXT("must have at least 16 bytes"));
    if (header.length == 0) return refuse(TEXT("header"), TEXT("must not be empty"));
    hmac_init(&key, (const uint8_t *)secret.at, secret.length);
    arena_keep();
    return true;
}

static void hash_text(sha256 *hash, slice text) {
    sha256_update(hash, (const uint8_t *)text.at, text.length);
}

EXPORT("proxy_on_request_headers")
uint32_t on_request_headers(uint32_t exchange, uint32_t headers, uint32_t end_of_stream) {
    (void)exchange, (void)headers, (void)end_of_stream;
    arena_reset();
    slice method, path;
    get_header(REQUEST_HEADERS, TEXT(":method"), &method);
    get_header(REQUEST_HEADERS, TEXT(":path"), &path);
    char digits[20];
    writer seconds = WRITER(digits);
    write_number(&seconds, now_seconds());

    sha256 message = hmac_start(&key);
    hash_text(&message, method);
    hash_text(&message, TEXT("\n"));
    hash_text(&message, path);
    hash_text(&message, TEXT("\n"));
    hash_text(&message, written(&seconds));
    uint8_t code[32];
    hmac_finish(&key, &message, code);

    char value[128];
    writer out = WRITER(value);
    write_text(&out, TEXT("t="));
    write_text(&out, written(&seconds));
    write_text(&out, TEXT(",v1="));
    write_hex(&out, code, sizeof code);
    replace_header(REQUEST_HEADERS, header, written(&out));
    return CONTINUE;
}
