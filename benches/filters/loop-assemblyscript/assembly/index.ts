// Sets, reads and removes twenty headers of the request.

import { Exchange, Filter, Flow, Head, register } from "tidegate";

export * from "tidegate/callbacks";

class Loop extends Filter {
  exchange(): Exchange {
    return new Looped();
  }
}

class Looped extends Exchange {
  requestHead(request: Head, endOfStream: bool): Flow {
    for (let number = 0; number < 20; number++) {
      const name = "x-loop-" + number.toString();
      request.set(name, "value");
      assert(request.get(name) == "value");
      request.remove(name);
    }
    return Flow.Continue;
  }
}

register(() => new Loop());
