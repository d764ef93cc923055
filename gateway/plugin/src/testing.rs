//! Test kit: runs one plugin over a made-up exchange without a server.
