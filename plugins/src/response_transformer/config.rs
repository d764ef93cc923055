//! Fields of the configuration.

use crate::entry;
use tidegate_model::record;
use tidegate_model::schema::{self, FieldBuilder, array, string};

const NOTHING: Vec<String> = Vec::new();

fn names() -> FieldBuilder {
    array(string()).required().default(NOTHING)
}

fn pairs() -> FieldBuilder {
    array(string().check("pair", entry::check_pair))
        .required()
        .default(NOTHING)
}

fn header_pairs() -> FieldBuilder {
    array(
        string()
            .referenceable()
            .check("header_pair", entry::check_header_pair),
    )
    .required()
    .default(NOTHING)
}

fn types() -> FieldBuilder {
    array(string().one_of(["boolean", "number", "string"]))
        .required()
        .default(NOTHING)
}

record! {
    /// What is removed.
    pub struct RemoveRules {
        /// Members of the JSON body.
        pub json: Vec<String> = names(),
        /// Headers.
        pub headers: Vec<String> = names(),
    }
}

record! {
    /// What gets another name, as `old:new`.
    pub struct RenameRules {
        /// Members of the JSON body.
        pub json: Vec<String> = pairs(),
        /// Headers.
        pub headers: Vec<String> = array(string().check("headers", entry::check_header_rename)).required().default(NOTHING),
    }
}

record! {
    /// Values to set, as `name:value`: in `replace` if the name is there, in `add` if it is not, in `append` behind what is there.
    pub struct ValueRules {
        /// Members of the JSON body.
        pub json: Vec<String> = pairs(),
        /// Types of the members, entry by entry; the default is a string.
        pub json_types: Vec<String> = types(),
        /// Headers.
        pub headers: Vec<String> = header_pairs(),
    }
}

record! {
    /// Configuration of `response-transformer`.
    pub struct Config {
        /// What is removed.
        pub remove: RemoveRules = schema::record::<RemoveRules>(),
        /// What gets another name.
        pub rename: RenameRules = schema::record::<RenameRules>(),
        /// What gets another value if it is there.
        pub replace: ValueRules = schema::record::<ValueRules>(),
        /// What is added if it is not there.
        pub add: ValueRules = schema::record::<ValueRules>(),
        /// What gets one more value.
        pub append: ValueRules = schema::record::<ValueRules>(),
    }
}
