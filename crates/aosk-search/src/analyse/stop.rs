//! Words that are too common in English to say what a text is about.
//!
//! They are left out of the index, and still read where a question is understood: "when" asks for
//! a time.

/// Sorted, for a binary search. Contractions stand without their apostrophe.
const WORDS: [&str; 182] = [
    "a", "about", "above", "after", "again", "against", "ain", "all", "also", "am", "an", "and",
    "any", "are", "arent", "as", "at", "be", "because", "been", "before", "being", "below",
    "between", "both", "but", "by", "can", "cannot", "cant", "could", "couldnt", "did", "didnt",
    "do", "does", "doesnt", "doing", "don", "dont", "down", "during", "each", "etc", "few", "for",
    "from", "further", "had", "hadnt", "has", "hasnt", "have", "havent", "having", "he", "hed",
    "her", "here", "hers", "herself", "hes", "him", "himself", "his", "how", "hows", "i", "id",
    "if", "ill", "im", "in", "into", "is", "isnt", "it", "its", "itself", "ive", "just", "lets",
    "many", "may", "me", "might", "more", "most", "much", "must", "mustnt", "my", "myself", "no",
    "nor", "not", "of", "off", "on", "once", "only", "or", "other", "our", "ours", "ourselves",
    "out", "over", "own", "same", "shall", "she", "shed", "shes", "should", "shouldnt", "so",
    "some", "such", "than", "that", "thats", "the", "their", "theirs", "them", "themselves",
    "then", "there", "theres", "these", "they", "theyd", "theyll", "theyre", "theyve", "this",
    "those", "through", "to", "too", "under", "until", "up", "upon", "us", "very", "was", "wasnt",
    "we", "wed", "were", "werent", "weve", "what", "whats", "when", "where", "wheres", "which",
    "while", "who", "whom", "whos", "whose", "why", "will", "with", "wont", "would", "wouldnt",
    "yes", "yet", "you", "youd", "youll", "your", "youre", "yours", "yourself", "yourselves",
    "youve",
];

/// Whether a word in lower case, without apostrophes, is a stop word.
pub(super) fn is_stop(word: &str) -> bool {
    WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_every_word_of_it_is_found() {
        let mut sorted = WORDS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, WORDS);
        assert!(is_stop("dont") && is_stop("a") && is_stop("youve"));
        assert!(!is_stop("kernel"));
    }
}
