//! What has to be done to one entity.

use crate::kinds::Kind;
use crate::state::Entity;
use serde_json::{Map, Value};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Update,
    Delete,
}

impl Op {
    /// As an output line begins.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Create => "creating",
            Self::Update => "updating",
            Self::Delete => "deleting",
        }
    }

    /// As the line of an event begins that was not carried out.
    pub(crate) const fn dropped(self) -> &'static str {
        match self {
            Self::Create => "Dropped creation",
            Self::Update => "Dropped update",
            Self::Delete => "Dropped deletion",
        }
    }

    /// As an error begins.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// One change.
#[derive(Debug)]
pub(crate) struct Event {
    pub op: Op,
    pub label: String,
    /// What is written, or deleted.
    pub entity: Rc<Entity>,
    /// Of an update: what there is, and what there will be with all defaults.
    pub change: Option<Change>,
}

#[derive(Debug)]
pub(crate) struct Change {
    pub old: Map<String, Value>,
    pub new: Map<String, Value>,
}

impl Event {
    pub(crate) fn kind(&self) -> Kind {
        self.entity.kind
    }
}
