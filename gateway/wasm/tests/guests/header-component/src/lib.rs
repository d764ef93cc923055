//! Adds two headers to the request and two to the response.

use tidegate_sdk_component::{
    ConfigError, Context, Decision, Filter, RequestFilter, RequestHead, ResponseFilter, ResponseHead, Result,
    filter, next,
};

struct Headers;

impl Filter for Headers {
    type Config = ();

    fn configure((): ()) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl RequestFilter for Headers {
    fn on_request(&self, _: &Context, head: &RequestHead) -> Result<Decision> {
        head.append("x-first", "value")?;
        head.append("x-second", "value")?;
        Ok(next())
    }
}

impl ResponseFilter for Headers {
    fn on_response(&self, _: &Context, head: &ResponseHead) -> Result<Decision> {
        head.append("x-first", "value")?;
        head.append("x-second", "value")?;
        Ok(next())
    }
}

filter!(Headers: request, response);
