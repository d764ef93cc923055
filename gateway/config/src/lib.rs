//! Settings and declarative files, parsed into model values with pointed diagnostics.
