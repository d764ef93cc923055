//! The moments in which a guest may call the host, each with the letter that stands for it in tables.

/// A moment by its letter. `S` start function, `V` vm_start, `C` configure, `R` done of the plugin context, `K` tick,
/// `Q` queue_ready; then the answers of calls, delivered to the plugin context: `A` http_call_response, `I`
/// grpc_receive_initial_metadata, `G` grpc_receive, `J` grpc_receive_trailing_metadata, `E` grpc_close; then a stream's:
/// `N` context_create, `H` request_headers, `a` http_call_response after the stream was made the effective context, `B`
/// request_body, `T` request_trailers, `h` response_headers, `b` response_body, `t` response_trailers, `D` done, `L` log,
/// `X` delete.
pub(super) const COLUMNS: &str = "SVCRKQ AIGJE NHaBThbtDLX";

/// Number of a moment.
pub(super) fn place(letter: char) -> usize {
    letters()
        .position(|known| known == letter)
        .unwrap_or_else(|| panic!("no moment {letter}"))
}

/// All letters in their order.
pub(super) fn letters() -> impl Iterator<Item = char> {
    COLUMNS.chars().filter(|letter| *letter != ' ')
}

/// What a row of a table says of each moment.
pub(super) fn cells(row: &str) -> impl Iterator<Item = (char, char)> {
    assert_eq!(
        row.len(),
        COLUMNS.len(),
        "the row `{row}` has a cell for each column"
    );
    let both = COLUMNS.chars().zip(row.chars());
    both.filter(move |(letter, cell)| {
        assert_eq!(
            *letter == ' ',
            *cell == ' ',
            "the row `{row}` is grouped as the columns are"
        );
        *letter != ' '
    })
}
