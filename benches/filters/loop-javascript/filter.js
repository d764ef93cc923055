// Sets, reads and removes twenty headers of the request.

export const lifecycle = {
  configure() {},
};

export const requestFilter = {
  onRequest(context, request) {
    for (let number = 0; number < 20; number++) {
      const name = `x-loop-${number}`;
      request.set(name, "value");
      if (request.get(name) !== "value") throw new Error("the header is not as it was set");
      request.remove(name);
    }
    return { tag: "next", val: { tag: "skip" } };
  },
};
