//! Compiled route tables: match, explain.
