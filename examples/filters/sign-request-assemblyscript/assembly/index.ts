// Signs each request with a secret that only the gateway and the upstream know.
//
// The upstream recomputes HMAC-SHA256(secret, method \n path \n seconds) and compares; what did not come through the
// gateway carries no valid signature. What a client sends under this name never reaches the upstream.

import { Config, Exchange, Filter, Flow, Head, nowSeconds, register } from "tidegate";
import { Hmac } from "./hmac";

export * from "tidegate/callbacks";

const MIN_SECRET_BYTES = 16;

class Signer extends Filter {
  header: string = "";
  /** Holds the secret already: per request only the message is hashed. */
  mac: Hmac = new Hmac(new ArrayBuffer(0));

  configure(config: Config): void {
    const secret = String.UTF8.encode(config.required("secret"));
    this.header = config.optional("header", "x-gateway-signature");
    config.end();
    if (secret.byteLength < MIN_SECRET_BYTES) config.refuse("secret", "must have at least 16 bytes");
    if (this.header == "") config.refuse("header", "must not be empty");
    this.mac = new Hmac(secret);
  }

  exchange(): Exchange {
    return new Signing(this);
  }
}

class Signing extends Exchange {
  constructor(private signer: Signer) { super(); }

  requestHead(request: Head, endOfStream: bool): Flow {
    const seconds = nowSeconds().toString();
    const mac = this.signer.mac;
    mac.start();
    mac.update(request.getBytes(":method")!);
    mac.update(String.UTF8.encode("\n"));
    mac.update(request.getBytes(":path")!);
    mac.update(String.UTF8.encode("\n" + seconds));
    request.set(this.signer.header, "t=" + seconds + ",v1=" + mac.finishHex());
    return Flow.Continue;
  }
}

register(() => new Signer());
