//! Settings whose value is one word of a few.

/// Declares an enum with the word of each variant, and makes it a [`Value`](super::value::Value).
macro_rules! choices {
    (
        $(#[$attr:meta])*
        $name:ident { $( $(#[$variant_attr:meta])* $variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$attr])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$variant_attr])* $variant, )+
        }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this variant.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl $crate::settings::value::Value for $name {
            fn read(text: &str, spec: &$crate::settings::spec::Spec) -> Result<Self, String> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err(spec.refuse(text)),
                }
            }
        }
    };
}

pub(super) use choices;

/// "`a`, `b` or `c`".
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}
