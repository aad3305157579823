//! Tables for people, and numbers in them.

use indicatif::HumanBytes;

/// Columns under their titles, two spaces apart; a title that begins with `>` puts its column to the
/// right.
pub(super) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let name = |title: &str| title.trim_start_matches('>').to_owned();
    let header: Vec<String> = titles.iter().map(|title| name(title)).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        let cells = lines().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<(bool, usize)> = titles
        .iter()
        .enumerate()
        .map(|(column, title)| (title.starts_with('>'), width(column)))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &(right, width))| {
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines().map(line).collect()
}

/// Bytes, as people say them.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "1", "x"], ["longer", "10000", ""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let expected = "NAME     SIZE  NOTE\na           1  x\nlonger  10000\n";
        assert_eq!(table(&["NAME", ">SIZE", "NOTE"], &rows), expected);
        assert_eq!(table(&["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(10 << 30), "10.00 GiB");
    }
}
