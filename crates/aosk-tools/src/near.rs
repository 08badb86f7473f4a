//! Names that look like a name that does not exist.

/// How many names are offered.
const OFFERED_MAX: usize = 3;

/// Longer names are not compared: they are no typing mistakes, and comparing is quadratic.
const COMPARED_CHARS_MAX: usize = 64;

/// The names at most a third of `wanted` away, nearest first and at most three.
#[must_use]
pub fn near_names<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().collect();
    if wanted.len() > COMPARED_CHARS_MAX {
        return Vec::new();
    }
    let far = (wanted.len() / 3).max(2);
    let mut ranked: Vec<(usize, &str)> = names
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= far)
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(OFFERED_MAX).map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein distance: the fewest insertions, deletions and replacements.
fn distance(a: &[char], b: &str) -> usize {
    // `row` holds the distances between the part of `b` read so far and each prefix of `a`.
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (count, b_char) in b.chars().enumerate() {
        let mut diagonal = count;
        let mut left = count + 1;
        let mut next = vec![left];
        for (a_char, above) in a.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(*a_char != b_char);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
