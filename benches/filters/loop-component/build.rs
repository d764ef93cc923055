//! A filter needs little stack, and all of it is cleaned with each fresh instance: new projects ask for as much.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-zstack-size=32768");
}
