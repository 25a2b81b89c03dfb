//! What the programs print: tables, templates, progress, errors, exit codes.
