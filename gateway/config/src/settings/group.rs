//! The macro that turns rows of the table into a struct, its definitions and its reader.

/// Declares one group of settings. Each row is `name: Type = spec;` under the text of the manual. A macro, because
/// the field, the definition and the reader of a setting must come from the same line.
macro_rules! settings_group {
    (
        $(#[$attr:meta])*
        $group:ident, $title:literal {
            $( $(#[doc = $doc:literal])+ $name:ident : $type:ty = $spec:expr; )+
        }
    ) => {
        $(#[$attr])*
        #[derive(Debug, Clone)]
        pub struct $group {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        impl $group {
            pub(in crate::settings) const GROUP: $crate::settings::table::Group = $crate::settings::table::Group {
                title: $title,
                definitions: &[
                    $( $crate::settings::spec::Definition {
                        name: stringify!($name),
                        group: $title,
                        doc: &[$($doc),+],
                        spec: $spec,
                        check: $crate::settings::spec::check::<$type>,
                    }, )+
                ],
            };

            /// `None` when a value of the group does not fit; the faults are left in `merged`.
            pub(in crate::settings) fn read(merged: &mut $crate::settings::merge::Merged) -> Option<Self> {
                // Every row is read before the first `?`: all faults of the group are collected.
                $( let $name = merged.take::<$type>(stringify!($name)); )+
                Some(Self { $( $name: $name?, )+ })
            }
        }
    };
}

pub(super) use settings_group;
