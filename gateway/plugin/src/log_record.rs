//! The log object ([SER], shape in `http-log`): one JSON object per request for all log plugins.
