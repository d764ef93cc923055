//! Fields of the configuration.

use crate::entry;
use tidegate_model::record;
use tidegate_model::schema::{self, FieldBuilder, array, string};

const NOTHING: Vec<String> = Vec::new();

fn names() -> FieldBuilder {
    array(string()).required().default(NOTHING)
}

fn header_names() -> FieldBuilder {
    array(string().check("header", entry::check_header))
        .required()
        .default(NOTHING)
}

fn pairs() -> FieldBuilder {
    array(
        string()
            .referenceable()
            .check("name_and_template", entry::check_template_pair),
    )
    .required()
    .default(NOTHING)
}

fn header_pairs() -> FieldBuilder {
    array(
        string()
            .referenceable()
            .check("header_and_template", entry::check_header_template),
    )
    .required()
    .default(NOTHING)
}

record! {
    /// What is removed.
    pub struct RemoveRules {
        /// Members of the body.
        pub body: Vec<String> = names(),
        /// Headers.
        pub headers: Vec<String> = header_names(),
        /// Arguments of the query.
        pub querystring: Vec<String> = names(),
    }
}

record! {
    /// What gets another name, as `old:new`.
    pub struct RenameRules {
        /// Members of the body.
        pub body: Vec<String> = pairs(),
        /// Headers.
        pub headers: Vec<String> = array(string().check("headers", entry::check_header_rename)).required().default(NOTHING),
        /// Arguments of the query.
        pub querystring: Vec<String> = pairs(),
    }
}

record! {
    /// What gets another value if it is there, as `name:value`.
    pub struct ReplaceRules {
        /// Members of the body.
        pub body: Vec<String> = pairs(),
        /// Headers.
        pub headers: Vec<String> = header_pairs(),
        /// Arguments of the query.
        pub querystring: Vec<String> = pairs(),
        /// The whole upstream path.
        pub uri: Option<String> = string().check("template", entry::check_whole_template),
    }
}

record! {
    /// What is added if it is not there, as `name:value`.
    pub struct AddRules {
        /// Members of the body.
        pub body: Vec<String> = pairs(),
        /// Headers.
        pub headers: Vec<String> = header_pairs(),
        /// Arguments of the query.
        pub querystring: Vec<String> = pairs(),
    }
}

record! {
    /// What gets one more value, as `name:value`.
    pub struct AppendRules {
        /// Members of the body.
        pub body: Vec<String> = pairs(),
        /// Headers.
        pub headers: Vec<String> = header_pairs(),
        /// Arguments of the query.
        pub querystring: Vec<String> = pairs(),
    }
}

record! {
    /// Configuration of `request-transformer`.
    pub struct Config {
        /// Method of the upstream request.
        pub http_method: Option<String> = schema::http_method(),
        /// What is removed.
        pub remove: RemoveRules = schema::record::<RemoveRules>(),
        /// What gets another name.
        pub rename: RenameRules = schema::record::<RenameRules>(),
        /// What gets another value if it is there.
        pub replace: ReplaceRules = schema::record::<ReplaceRules>(),
        /// What is added if it is not there.
        pub add: AddRules = schema::record::<AddRules>(),
        /// What gets one more value.
        pub append: AppendRules = schema::record::<AppendRules>(),
    }
}
