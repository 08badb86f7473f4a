//! `roman`: converts its arguments between numbers and Roman numerals.

use std::process::ExitCode;

use roman::{from_roman, to_roman};

fn main() -> ExitCode {
    let mut status = ExitCode::SUCCESS;
    for argument in std::env::args().skip(1) {
        match convert(&argument) {
            Some(converted) => println!("{converted}"),
            None => {
                eprintln!("roman: neither a number from 1 to 3999 nor a numeral: {argument}");
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}

fn convert(argument: &str) -> Option<String> {
    match argument.parse() {
        Ok(number) => to_roman(number),
        Err(_) => from_roman(&argument.to_uppercase()),
    }
}
