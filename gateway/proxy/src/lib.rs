//! Request lifecycle: phase runner, forwarding, bodies, replies.
