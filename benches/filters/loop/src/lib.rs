//! Sets, reads and removes twenty headers of the request.

use std::rc::Rc;
use tidegate_sdk::{ConfigError, Error, Exchange, Filter, Flow, Head, Result, filter};

#[derive(serde::Deserialize)]
struct Config {}

struct Loop;

impl Filter for Loop {
    type Config = Config;
    type Exchange = Looped;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn exchange(self: Rc<Self>) -> Looped {
        Looped
    }
}

struct Looped;

impl Exchange for Looped {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        for number in 0..20 {
            let name = format!("x-loop-{number}");
            request.set(&name, "value")?;
            if request.get(&name)?.as_deref() != Some("value") {
                return Err(Error::other("the header is not as it was set"));
            }
            request.remove(&name)?;
        }
        Ok(Flow::Continue)
    }
}

filter!(Loop);
