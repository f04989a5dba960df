//! Fenced blocks of Markdown documents.

use std::{fs, path::Path};

/// What stands between two fences.
#[derive(Debug)]
pub struct Block {
    /// Where it stands, as `README.md:12`.
    pub place: String,
    /// The word after the opening fence.
    pub language: String,
    /// The HTML comment on the line before: what the block is.
    pub mark: Option<String>,
    pub text: String,
}

/// The blocks of a document, in order.
pub fn blocks(root: &Path, document: &str) -> std::io::Result<Vec<Block>> {
    let text = fs::read_to_string(root.join(document))?;
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let mark = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                open = Some(Block {
                    place: format!("{document}:{}", number + 1),
                    language: language.to_owned(),
                    mark: mark.map(str::to_owned),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
        before = line;
    }
    Ok(blocks)
}

/// A line that a person would type, and how it ends.
#[derive(Debug)]
pub struct Command {
    pub place: String,
    pub line: String,
    /// What `# exits N` at its end says.
    pub status: i32,
}

/// The commands of a block: one a line.
pub fn commands(block: &Block) -> Vec<Command> {
    let line = |line: &str| {
        let (line, status) = line.split_once(" # exits ").unwrap_or((line, "0"));
        Command {
            place: block.place.clone(),
            line: line.trim().to_owned(),
            status: status.trim().parse().unwrap_or(-1),
        }
    };
    block.text.lines().filter(|text| !text.trim().is_empty()).map(line).collect()
}
