//! The package's types and functions, and for each phase what exports it.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    single_use_lifetimes,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated from wit/filter.wit; the calls across the boundary are the generator's"
)]

pub mod imports {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world imports { include tidegate:filter/imports@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/imports",
        generate_all,
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-lifecycle { export tidegate:filter/lifecycle@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-lifecycle",
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::lifecycle",
    });
}

pub mod request {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-request { export tidegate:filter/request-filter@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-request",
        with: {
            "tidegate:filter/types@0.1.0": crate::bindings::imports::tidegate::filter::types,
            "tidegate:filter/exchange@0.1.0": crate::bindings::imports::tidegate::filter::exchange,
        },
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::request",
    });
}

pub mod request_body {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-request-body { export tidegate:filter/request-body-filter@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-request-body",
        with: {
            "tidegate:filter/types@0.1.0": crate::bindings::imports::tidegate::filter::types,
            "tidegate:filter/exchange@0.1.0": crate::bindings::imports::tidegate::filter::exchange,
        },
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::request_body",
    });
}

pub mod response {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-response { export tidegate:filter/response-filter@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-response",
        with: {
            "tidegate:filter/types@0.1.0": crate::bindings::imports::tidegate::filter::types,
            "tidegate:filter/exchange@0.1.0": crate::bindings::imports::tidegate::filter::exchange,
        },
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::response",
    });
}

pub mod response_body {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-response-body { export tidegate:filter/response-body-filter@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-response-body",
        with: {
            "tidegate:filter/types@0.1.0": crate::bindings::imports::tidegate::filter::types,
            "tidegate:filter/exchange@0.1.0": crate::bindings::imports::tidegate::filter::exchange,
        },
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::response_body",
    });
}

pub mod log {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-log { export tidegate:filter/log-filter@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-log",
        with: {
            "tidegate:filter/types@0.1.0": crate::bindings::imports::tidegate::filter::types,
            "tidegate:filter/exchange@0.1.0": crate::bindings::imports::tidegate::filter::exchange,
        },
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::log",
    });
}

pub mod tick {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk; world only-tick { export tidegate:filter/background@0.1.0; }",
        path: "../../wit",
        world: "tidegate:sdk/only-tick",
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk_component::bindings::tick",
    });
}
