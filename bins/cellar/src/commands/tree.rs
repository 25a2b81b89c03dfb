//! `cellar image tree`

use std::collections::VecDeque;
use std::fmt::Write as _;

use anyhow::Result;
use cask_engine::TreeLayer;
use cask_program::output;
use cask_terminal::table::human_size;
use clap::Args;

use crate::context::Context;

/// Show the layers of an image
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image
    image: String,
    /// Show all images and layers that stand on it
    #[arg(long)]
    whatrequires: bool,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    let image = images.find_instance(&arguments.image)?.image;
    let tree = match arguments.whatrequires {
        true => images.tree_of_dependents(&image)?,
        false => images.tree(&image)?,
    };
    let mut text = format!(
        "Image ID: {}\nTags:     [{}]\nSize:     {}\n",
        image.id.short(),
        image.names.join(" "),
        human_size(tree.size_bytes)
    );
    text.push_str(if tree.layers.is_empty() { "No Image Layers\n" } else { "Image Layers\n" });
    draw(tree.layers, "", &mut text);
    text.push('\n');
    output::bytes(text.as_bytes())
}

/// Puts what stands on a layer beside it: only where branches begin it goes deeper.
fn beside(layers: Vec<TreeLayer>) -> Vec<TreeLayer> {
    let mut flat = Vec::new();
    let mut rest: VecDeque<TreeLayer> = layers.into();
    while let Some(mut layer) = rest.pop_front() {
        if !layer.has_siblings {
            for above in std::mem::take(&mut layer.above).into_iter().rev() {
                rest.push_front(above);
            }
        }
        flat.push(layer);
    }
    flat
}

/// Source: containers/common, `libimage/image_tree.go`.
fn draw(layers: Vec<TreeLayer>, indent: &str, text: &mut String) {
    let layers = beside(layers);
    let count = layers.len();
    for (position, layer) in layers.into_iter().enumerate() {
        let is_last = position + 1 == count;
        let branch = if is_last { "└──" } else { "├──" };
        let top = match layer.top_of.as_slice() {
            [] => String::new(),
            names => format!(" Top Layer of: [{}]", names.join(" ")),
        };
        let (id, size) = (layer.id.short(), human_size(layer.size_bytes));
        let _ = writeln!(text, "{indent}{branch} ID: {id} Size: {size:>7}{top}");
        let deeper = if is_last { "    " } else { "│   " };
        draw(layer.above, &format!("{indent}{deeper}"), text);
    }
}
