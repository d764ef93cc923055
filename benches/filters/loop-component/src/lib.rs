//! Sets, reads and removes twenty headers of the request.

use tidegate_sdk_component::{
    ConfigError, Context, Decision, Error, Filter, RequestFilter, RequestHead, Result, filter, next,
};

struct Loop;

impl Filter for Loop {
    type Config = ();

    fn configure((): ()) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl RequestFilter for Loop {
    fn on_request(&self, _: &Context, request: &RequestHead) -> Result<Decision> {
        for number in 0..20 {
            let name = format!("x-loop-{number}");
            request.set(&name, "value")?;
            if request.get(&name).as_deref() != Some("value") {
                return Err(Error::other("the header is not as it was set"));
            }
            request.remove(&name)?;
        }
        Ok(next())
    }
}

filter!(Loop: request);
