//! Pictures in messages. Each wire format has a form of its own for them, and a message may hold that of
//! another: the one it came in.

use aosk_abi::Part;
use serde_json::Value;

/// A picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture<'a> {
    /// Its bytes in base64.
    Bytes {
        /// Their kind, such as `image/png`.
        media_type: &'a str,
        /// The bytes.
        data: &'a str,
    },
    /// Where the provider finds it.
    Address(&'a str),
}

impl<'a> Picture<'a> {
    /// The picture that a part is; none if it is none, or has a form that is not known.
    pub(crate) fn of(part: &'a Part) -> Option<Self> {
        match part {
            Part::Text { .. } | Part::Page { .. } => None,
            Part::Image { media_type, data } => Some(Self::Bytes { media_type, data }),
            Part::Other { json } => Self::of_wire(json),
        }
    }

    /// The picture in a part as chat completions, Responses, Messages or Gemini have it.
    fn of_wire(json: &'a Value) -> Option<Self> {
        let text = |value: Option<&'a Value>| value.and_then(Value::as_str);
        match text(json.get("type")) {
            Some("image_url") => Some(Self::at(text(json.get("image_url")?.get("url"))?)),
            Some("input_image") => Some(Self::at(text(json.get("image_url"))?)),
            Some("image") => {
                let source = json.get("source")?;
                match text(source.get("url")) {
                    Some(url) => Some(Self::Address(url)),
                    None => Some(Self::Bytes {
                        media_type: text(source.get("media_type"))?,
                        data: text(source.get("data"))?,
                    }),
                }
            }
            Some(_) => None,
            None => {
                let inline = json.get("inlineData")?;
                Some(Self::Bytes {
                    media_type: text(inline.get("mimeType"))?,
                    data: text(inline.get("data"))?,
                })
            }
        }
    }

    /// The picture at an address, which may hold the picture itself.
    fn at(url: &'a str) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        inline.map_or(Self::Address(url), |(media_type, data)| Self::Bytes { media_type, data })
    }

    /// Its address, which holds the picture itself if it is nowhere else.
    pub(crate) fn url(self) -> String {
        match self {
            Self::Bytes { media_type, data } => format!("data:{media_type};base64,{data}"),
            Self::Address(url) => url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: Picture<'_> = Picture::Bytes { media_type: "image/png", data: "iVBO" };

    #[test]
    fn a_picture_is_one_in_every_form() {
        let forms = [
            r#"{"type":"image","media_type":"image/png","data":"iVBO"}"#,
            r#"{"type":"other","json":{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"low"}}}"#,
            r#"{"type":"other","json":{"type":"input_image","image_url":"data:image/png;base64,iVBO"}}"#,
            r#"{"type":"other","json":{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}}"#,
            r#"{"type":"other","json":{"inlineData":{"mimeType":"image/png","data":"iVBO"}}}"#,
        ];
        for form in forms {
            let part: Part = serde_json::from_str(form).expect("a part");
            assert_eq!(Picture::of(&part), Some(PNG), "{form}");
        }
        assert_eq!(PNG.url(), "data:image/png;base64,iVBO");
    }

    #[test]
    fn a_picture_may_be_elsewhere_and_other_parts_are_none() {
        let part = |json: &str| -> Part {
            serde_json::from_str(&format!(r#"{{"type":"other","json":{json}}}"#)).expect("a part")
        };
        let there = Picture::Address("https://x/y.png");
        for json in [
            r#"{"type":"image_url","image_url":{"url":"https://x/y.png"}}"#,
            r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#,
        ] {
            assert_eq!(Picture::of(&part(json)), Some(there), "{json}");
        }
        for json in [r#"{"type":"document"}"#, r#"{"type":"image"}"#, "7", r#"{"inlineData":{}}"#] {
            assert_eq!(Picture::of(&part(json)), None, "{json}");
        }
        assert_eq!(Picture::of(&Part::Text { text: "x".into() }), None);
    }
}
