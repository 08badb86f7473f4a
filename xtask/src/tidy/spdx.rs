//! Licence expressions: names joined by OR, AND and parentheses. AND binds tighter.

/// Whether `allowed` satisfies the expression: enough of its licences are allowed.
///
/// # Errors
/// If the expression is malformed; the text says where.
pub(super) fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    // Old packages write `MIT/Apache-2.0` and mean OR.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, allowed };
    let result = parser.any()?;
    match parser.words.first() {
        None => Ok(result),
        Some(word) => Err(format!("`{word}` is not expected in `{expression}`")),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    /// Alternatives: one is enough.
    fn any(&mut self) -> Result<bool, String> {
        let mut result = self.all()?;
        while self.skip("OR") {
            result |= self.all()?;
        }
        Ok(result)
    }

    /// Licences that hold together: all are needed.
    fn all(&mut self) -> Result<bool, String> {
        let mut result = self.one()?;
        while self.skip("AND") {
            result &= self.one()?;
        }
        Ok(result)
    }

    /// One licence with its exception, or an expression in parentheses.
    fn one(&mut self) -> Result<bool, String> {
        if self.skip("(") {
            let result = self.any()?;
            return if self.skip(")") { Ok(result) } else { Err("a `)` is missing".into()) };
        }
        let name = self.name()?;
        if self.skip("WITH") {
            let exception = self.name()?;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(name))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.words.split_first() {
            Some((word, rest)) if !["OR", "AND", "WITH", "(", ")"].contains(word) => {
                self.words = rest;
                Ok(word)
            }
            _ => Err("a licence is missing".into()),
        }
    }

    fn skip(&mut self, wanted: &str) -> bool {
        match self.words.split_first() {
            Some((word, rest)) if *word == wanted => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}
