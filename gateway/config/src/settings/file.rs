//! `tidegate.conf`: lines of `key = value`, with comments after `#`.

/// One assignment of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// A line that is neither an assignment nor a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Reads the whole file. A comment starts at `#` unless it is written `\#`.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<BadLine>) {
    let mut assignments = Vec::new();
    let mut bad = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let content = without_comment(raw);
        let content = content.trim();
        if content.is_empty() {
            continue;
        }
        match content.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                assignments.push(Assignment {
                    line,
                    name: name.trim().to_owned(),
                    value: value.trim().to_owned(),
                });
            }
            _ => bad.push(BadLine {
                line,
                text: content.to_owned(),
            }),
        }
    }
    (assignments, bad)
}

fn without_comment(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut escaped = false;
    for c in line.chars() {
        match c {
            '#' if !escaped => break,
            '#' => {
                kept.pop();
                kept.push('#');
            }
            _ => kept.push(c),
        }
        escaped = c == '\\';
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        parse(text)
            .0
            .into_iter()
            .map(|a| (a.line, a.name, a.value))
            .collect()
    }

    #[test]
    fn assignments_keep_their_line_and_lose_surrounding_space() {
        let text = "\u{feff}# head\n\nworkers = 4\r\n  prefix=/srv/x y  # why\n";
        assert_eq!(
            pairs(text),
            vec![
                (3, "workers".to_owned(), "4".to_owned()),
                (4, "prefix".to_owned(), "/srv/x y".to_owned())
            ]
        );
    }

    #[test]
    fn a_value_may_hold_an_equals_sign_and_an_escaped_hash() {
        assert_eq!(
            pairs(r"a = b=c\#d#e"),
            vec![(1, "a".to_owned(), "b=c#d".to_owned())]
        );
    }

    #[test]
    fn a_line_without_assignment_is_reported_with_its_number() {
        let (assignments, bad) = parse("workers\n = 3\nlog_level = info");
        assert_eq!(assignments.len(), 1);
        let lines: Vec<usize> = bad.iter().map(|b| b.line).collect();
        assert_eq!(lines, vec![1, 2]);
    }
}
