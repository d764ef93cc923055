"""Sets, reads and removes twenty headers of the request."""

from wit_world import exports
from wit_world.imports.types import BodyMode_Skip, Decision_Next


class Lifecycle(exports.Lifecycle):
    def configure(self, config: str) -> None:
        pass


class RequestFilter(exports.RequestFilter):
    def on_request(self, context, request):
        for number in range(20):
            name = f"x-loop-{number}"
            request.set(name, "value")
            assert request.get(name) == "value"
            request.remove(name)
        return Decision_Next(BodyMode_Skip())
