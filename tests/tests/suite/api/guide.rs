//! The page about the Admin API, followed to the letter.

use crate::page::follow;

#[test]
fn the_commands_of_the_page_lead_to_a_protected_route() {
    let followed = follow("docs/admin-api.md", 120, &[]);
    let (stdout, stderr) = (&followed.stdout, &followed.stderr);
    assert_eq!(stdout.matches("401\n").count(), 2, "{stdout}");
    for part in [
        "3 schema violations (colour: unknown field; host: required field missing; port: value should be between 0 and 65535)",
        "\"retries\":2",
        "\"X-Consumer-Username\": \"ali\"",
    ] {
        assert!(stdout.contains(part), "{part} in {stdout}\n{stderr}");
    }
    assert!(followed.folder.path().join("store.redb").is_file());
}
