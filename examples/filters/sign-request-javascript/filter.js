// Signs each request with a secret that only the gateway and the upstream know.
//
// The upstream recomputes HMAC-SHA256(secret, method \n path \n seconds) and compares; what did not come through the
// gateway carries no valid signature. What a client sends under this name never reaches the upstream.

const MIN_SECRET_BYTES = 16;
const encoder = new TextEncoder();

let header;
let key;

export const lifecycle = {
  async configure(text) {
    const config = parsed(text);
    const secret = encoder.encode(string(config, "secret"));
    if (secret.length < MIN_SECRET_BYTES) refuse("secret", `must have at least ${MIN_SECRET_BYTES} bytes`);
    header = string(config, "header", "x-gateway-signature");
    if (header === "") refuse("header", "must not be empty");
    key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  },
};

export const requestFilter = {
  async onRequest(context, request) {
    const seconds = Math.floor(Date.now() / 1000);
    const message = encoder.encode(`${request.method()}\n${request.path()}\n${seconds}`);
    const code = new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
    request.set(header, `t=${seconds},v1=${hex(code)}`);
    return { tag: "next", val: { tag: "skip" } };
  },
};

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function refuse(member, reason) {
  throw `\`${member}\`: ${reason}`;
}

/** The configuration: an object with no members that the filter does not know. */
function parsed(text) {
  let config;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw error.message;
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) throw "must be an object";
  for (const member of Object.keys(config)) {
    if (member !== "secret" && member !== "header") refuse(member, "is unknown");
  }
  return config;
}

function string(config, member, missing) {
  const value = config[member] ?? missing;
  if (value === undefined) refuse(member, "is required");
  if (typeof value !== "string") refuse(member, "must be a string");
  // Half of a pair can be escaped in JSON, and stands for no character.
  if (!value.isWellFormed()) refuse(member, "must be text");
  return value;
}
