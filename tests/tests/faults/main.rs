//! What is wrong is refused, and what was there stays as it was.

mod corpus;
mod disk;
mod documents;
mod kill;
mod resume;
mod stage;
mod writers;
