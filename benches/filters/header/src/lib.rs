//! Adds a header to the request and one to the response.

use std::rc::Rc;
use tidegate_sdk::{ConfigError, Exchange, Filter, Flow, Head, Result, filter};

#[derive(serde::Deserialize)]
struct Config {}

struct Header;

impl Filter for Header {
    type Config = Config;
    type Exchange = Exchanged;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn exchange(self: Rc<Self>) -> Exchanged {
        Exchanged
    }
}

struct Exchanged;

impl Exchange for Exchanged {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        request.add("x-wasm-req", "1")?;
        Ok(Flow::Continue)
    }

    fn response_head(&mut self, response: &Head) -> Result<Flow> {
        response.add("x-wasm-res", "1")?;
        Ok(Flow::Continue)
    }
}

filter!(Header);
