//! Graphs as DOT and Mermaid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Graph, Link, Resolved};

/// Between which two nodes there is an arrow.
type Arrows = BTreeMap<(String, String), Vec<Link>>;

impl Graph {
    /// Draws the graph in the language of Graphviz. Images are boxes, and stages that are not
    /// needed for `target` (an index) are dashed.
    #[must_use]
    pub fn to_dot(&self, target: Option<usize>) -> String {
        let mut text = String::from("digraph stages {\n  rankdir=LR;\n");
        let needed = self.kept(target);
        for (index, stage) in self.stages.iter().enumerate() {
            let style = if needed[index] { "" } else { ", style=dashed" };
            let label = stage.label(index).replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  s{index} [label=\"{label}\"{style}];");
        }
        let (images, arrows) = self.arrows();
        for (name, id) in &images {
            let label = name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  {id} [label=\"{label}\", shape=box];");
        }
        for ((from, to), links) in &arrows {
            let _ = writeln!(text, "  {from} -> {to} [label=\"{}\"];", names(links));
        }
        text.push_str("}\n");
        text
    }

    /// Draws the graph in the language of Mermaid; see [`to_dot`](Self::to_dot).
    #[must_use]
    pub fn to_mermaid(&self, target: Option<usize>) -> String {
        let mut text = String::from("flowchart LR\n");
        for (index, stage) in self.stages.iter().enumerate() {
            let _ = writeln!(text, "  s{index}([\"{}\"])", entities(&stage.label(index)));
        }
        let (images, arrows) = self.arrows();
        for (name, id) in &images {
            let _ = writeln!(text, "  {id}[\"{}\"]", entities(name));
        }
        for ((from, to), links) in &arrows {
            let _ = writeln!(text, "  {from} -- \"{}\" --> {to}", names(links));
        }
        let needed = self.kept(target);
        for (index, _) in needed.iter().enumerate().filter(|(_, needed)| !**needed) {
            let _ = writeln!(text, "  style s{index} stroke-dasharray: 5 5");
        }
        text
    }

    /// Lists the stages and what each of them needs, for people: one line each for a stage and for
    /// what it needs besides its base.
    #[must_use]
    pub fn to_text(&self, target: Option<usize>) -> String {
        let labels = self.stages.iter().enumerate().map(|(index, stage)| stage.label(index));
        let labels: Vec<String> = labels.collect();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
        let needed = self.kept(target);
        let mut text = String::new();
        for (index, stage) in self.stages.iter().enumerate() {
            for dependency in &stage.dependencies {
                let on = match &dependency.on {
                    Resolved::Stage(on) => format!("stage {}", labels[*on]),
                    Resolved::Scratch => "scratch".to_owned(),
                    Resolved::Image(name) => name.clone(),
                };
                let link = dependency.link.as_str();
                let label = if dependency.link == Link::From { labels[index].as_str() } else { "" };
                let unused = dependency.link == Link::From && !needed[index];
                let note = if unused { "  (not needed)" } else { "" };
                let _ = writeln!(text, "{label:width$}  {link:5} {on}{note}");
            }
        }
        text
    }

    fn kept(&self, target: Option<usize>) -> Vec<bool> {
        let Some(target) = target else { return vec![true; self.stages.len()] };
        let needed = self.needed_for(target);
        (0..self.stages.len()).map(|index| needed.contains(&index)).collect()
    }

    /// The images with their identifiers, and the arrows from what is needed to what needs it.
    fn arrows(&self) -> (BTreeMap<String, String>, Arrows) {
        let mut images = BTreeMap::new();
        let mut arrows = Arrows::new();
        for (index, stage) in self.stages.iter().enumerate() {
            for dependency in &stage.dependencies {
                let from = match &dependency.on {
                    Resolved::Stage(on) => format!("s{on}"),
                    Resolved::Scratch => continue,
                    Resolved::Image(name) => {
                        let id = format!("i{}", images.len());
                        images.entry(name.clone()).or_insert(id).clone()
                    }
                };
                arrows.entry((from, format!("s{index}"))).or_default().push(dependency.link);
            }
        }
        (images, arrows)
    }
}

fn names(links: &[Link]) -> String {
    let mut links = links.to_vec();
    links.sort_unstable();
    links.dedup();
    links.iter().map(|link| link.as_str()).collect::<Vec<_>>().join(", ")
}

/// Mermaid takes what is special as entities.
fn entities(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        match c {
            '"' => result.push_str("#quot;"),
            '#' => result.push_str("#35;"),
            '<' => result.push_str("#lt;"),
            '>' => result.push_str("#gt;"),
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::graph::Graph;
    use crate::graph::tests::FILE;
    use crate::parse::parse;

    #[test]
    fn graphs_are_drawn() {
        let parsed = parse(FILE);
        let graph = Graph::new(&parsed.tree.stages(), |stage| stage.from.image.text.to_string());
        let dot = graph.to_dot(Some(2));
        for line in [
            "  s0 [label=\"base\"];",
            "  s3 [label=\"unused\", style=dashed];",
            "  i0 [label=\"alpine\", shape=box];",
            "  s0 -> s1 [label=\"FROM\"];",
            "  s1 -> s2 [label=\"COPY\"];",
            "  i1 -> s1 [label=\"mount\"];",
        ] {
            assert!(dot.lines().any(|found| found == line), "{line} in\n{dot}");
        }
        let expected = "\
base    FROM  alpine
build   FROM  stage base
        mount tools
2       FROM  scratch
        COPY  stage build
        COPY  stage base
        COPY  busybox
unused  FROM  stage base  (not needed)
";
        assert_eq!(graph.to_text(Some(2)), expected);
        let mermaid = graph.to_mermaid(Some(2));
        for line in
            ["  s0([\"base\"])", "  s0 -- \"FROM\" --> s1", "  style s3 stroke-dasharray: 5 5"]
        {
            assert!(mermaid.lines().any(|found| found == line), "{line} in\n{mermaid}");
        }
    }
}
