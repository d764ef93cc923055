//! Behaviour of the gateway seen from outside, over real sockets.
