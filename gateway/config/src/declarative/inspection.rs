//! Faults that only somebody outside of this crate can find, such as a key that does not belong to its certificate.

use super::flatten::Drafts;
use super::report::{Fault, Report, key};
use tidegate_model::entities::EntitySet;

/// Looks at faultless entities, their references followed where that was possible. An empty text may stand for a
/// secret that is missing, which was warned of already.
pub type Inspector<'i> = dyn Fn(&EntitySet) -> Vec<Inspection> + 'i;

/// Something found in an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Collection of the entity.
    pub collection: &'static str,
    /// Its position in the collection.
    pub index: usize,
    /// The field it is about; `None`: the entity as a whole.
    pub field: Option<&'static str>,
    /// What is wrong; holds no secret.
    pub message: String,
    /// The configuration is refused; otherwise it is only worth a warning.
    pub is_fault: bool,
}

pub(super) fn run(inspector: &Inspector<'_>, entities: &EntitySet, drafts: &Drafts, report: &mut Report) {
    for found in inspector(entities) {
        let Some(at) = drafts.find(found.collection, found.index) else {
            continue;
        };
        let mut path = drafts.path(at);
        path.extend(found.field.map(key));
        // The line of a PEM text is the first of a key, so it is never shown.
        let mut fault = Fault::new(path, found.message).of(drafts.place(at)).secret(true);
        if found.field.is_none() {
            fault = fault.entity_check();
        }
        if found.is_fault {
            report.fault(fault);
        } else {
            report.warn(fault);
        }
    }
}
