//! What an author implements.

use crate::{Answer, Body, ConfigError, Head, Headers, Reply, Result};
use serde::de::DeserializeOwned;
use std::rc::Rc;

/// A filter with its configuration. One value per instance of the module; instances serve many exchanges, one at a time.
///
/// ```
/// # use std::rc::Rc;
/// # use tidegate_sdk::{ConfigError, Exchange, Filter};
/// #[derive(serde::Deserialize)]
/// struct Config { percent: u8 }
/// struct Canary { percent: u8 }
/// # struct Choice;
/// # impl Exchange for Choice {}
///
/// impl Filter for Canary {
///     type Config = Config;
///     type Exchange = Choice;
///
///     fn configure(config: Config) -> Result<Self, ConfigError> {
///         if config.percent > 100 {
///             return Err(ConfigError::new("percent", "must be at most 100"));
///         }
///         Ok(Self { percent: config.percent })
///     }
///
///     fn exchange(self: Rc<Self>) -> Choice {
///         Choice
///     }
/// }
/// assert!(Canary::configure(Config { percent: 101 }).is_err());
/// assert_eq!(Canary::configure(Config { percent: 5 })?.percent, 5);
/// # Ok::<(), ConfigError>(())
/// ```
pub trait Filter: Sized + 'static {
    /// The configuration as it stands in the gateway's, read as JSON. See [`crate::parse`].
    type Config: DeserializeOwned;
    /// What is kept while one request and its response pass.
    type Exchange: Exchange;

    /// Takes the configuration.
    ///
    /// # Errors
    /// A fault that the type alone cannot tell; the gateway refuses the configuration with its text.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Begins an exchange.
    fn exchange(self: Rc<Self>) -> Self::Exchange;

    /// How often [`Filter::tick`] runs; asked once, after [`Filter::configure`]. `None`: never.
    fn tick_period(&self) -> Option<std::time::Duration> {
        None
    }

    /// Runs once per period, outside of exchanges.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn tick(&self) -> Result<()> {
        Ok(())
    }

    /// The answer to a call that [`Filter::tick`] made.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn call_answered(&self, answer: &Answer) -> Result<()> {
        let _ = answer;
        Ok(())
    }
}

/// A filter's part in one request and its response. Each callback has a default that lets the part pass.
///
/// ```no_run
/// # use tidegate_sdk::{Exchange, Flow, Head, Reply, Result};
/// struct Guard;
///
/// impl Exchange for Guard {
///     fn request_head(&mut self, request: &Head) -> Result<Flow> {
///         match request.get("authorization")? {
///             Some(_) => Ok(Flow::Continue),
///             None => Ok(Reply::new(401).header("www-authenticate", "Bearer").into()),
///         }
///     }
/// }
/// ```
pub trait Exchange: 'static {
    /// The head of the request.
    ///
    /// # Errors
    /// As all callbacks: see the crate's documentation.
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let _ = request;
        Ok(Flow::Continue)
    }

    /// The next bytes of the request's body. After [`Flow::Pause`] the bytes are kept and come again, with those that
    /// arrived since.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn request_body(&mut self, body: &Body) -> Result<Flow> {
        let _ = body;
        Ok(Flow::Continue)
    }

    /// Trailers of the request.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn request_trailers(&mut self, trailers: &Headers) -> Result<Flow> {
        let _ = trailers;
        Ok(Flow::Continue)
    }

    /// The head of the response, whoever made it.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn response_head(&mut self, response: &Head) -> Result<Flow> {
        let _ = response;
        Ok(Flow::Continue)
    }

    /// The next bytes of the response's body, as [`Exchange::request_body`].
    ///
    /// # Errors
    /// See the crate's documentation.
    fn response_body(&mut self, body: &Body) -> Result<Flow> {
        let _ = body;
        Ok(Flow::Continue)
    }

    /// Trailers of the response.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn response_trailers(&mut self, trailers: &Headers) -> Result<Flow> {
        let _ = trailers;
        Ok(Flow::Continue)
    }

    /// The answer to a call of this exchange. [`Flow::Continue`] lets go on what was paused.
    ///
    /// # Errors
    /// See the crate's documentation.
    fn call_answered(&mut self, answer: &Answer) -> Result<Flow> {
        let _ = answer;
        Ok(Flow::Continue)
    }

    /// The exchange is over, however it ended; for logs and metrics.
    fn end(&mut self) {}
}

/// What becomes of the part that a callback saw.
///
/// ```
/// use tidegate_sdk::{Flow, Reply};
/// assert!(matches!(Flow::from(Reply::new(403)), Flow::Reply(_)));
/// ```
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It waits: for the answer to a call, or for more of the body.
    Pause,
    /// The client gets this answer instead.
    Reply(Reply),
}

impl From<Reply> for Flow {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}
