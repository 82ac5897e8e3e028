//! Whatever is in the files: they are taken, or something is refused with its place. Nothing panics, nothing takes for ever.

use std::fs;
use std::time::{Duration, Instant};

use warren::config::{Severity, load};
use warren::neutron::Role;

use super::Tree;

const MUTANTS: usize = 1_000;

/// Pieces that are something to somebody.
const PIECES: &[&str] = &[
    "\n",
    "\n\n",
    "\n  ",
    "\n\t",
    "=",
    ":",
    "[",
    "]",
    "#",
    ";",
    "\"",
    "'",
    "$",
    "${",
    "}",
    "$$",
    "\\$",
    ",",
    "@",
    "/",
    "//",
    "?",
    "%",
    "%2F",
    "%zz",
    "::",
    "[::1]",
    "-1",
    "0",
    "99999999999999999999",
    "1e308",
    "nan",
    "true",
    "\u{feff}",
    "\0",
    "\r",
    "ä",
    "\u{2028}",
    "[DEFAULT]\n",
    "[default]\n",
    "[ovs]\n",
    "[AGENT]\n",
    "[oslo_messaging_rabbit]\n",
    "$state_path",
    "$transport_url",
    "$AGENT.extensions",
    "rabbit://",
    "rabbit://u:p@[",
    "host = ",
    "\nhost\n",
    "dhcp_lease_duration = ",
    "report_interval = ",
    "extensions = ,,",
    "rabbit_hosts = a,b\n",
    "dns_domain = $dns_domain$dns_domain\n",
    "interface_driver = openvswitch\n",
    "ovsdb_connection = ssl:x\n",
    "ip_versions = ,\n",
    "kombu_reconnect_delay = 1e400\n",
    "dnsmasq_dns_servers = #,/,1.2.3.4#\n",
];

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    fn mutate(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(6) {
            let at = self.below(chars.len() + 1);
            let end = (at + self.below(20)).min(chars.len());
            match self.below(4) {
                0 => drop(chars.drain(at..end)),
                1 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    chars.splice(at..at, piece.chars());
                }
                2 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    chars.splice(at..end, piece.chars());
                }
                _ => {
                    let twice: Vec<_> = chars[at..end].to_vec();
                    let to = self.below(chars.len() + 1);
                    chars.splice(to..to, twice);
                }
            }
        }
        chars.into_iter().collect()
    }
}

#[test]
fn mutants_are_taken_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut refused) = (0, 0);
    let trees = ["debian", "rdo", "kolla", "helm", "liberty"].map(Tree::new);
    let files = [
        "neutron.conf",
        "dhcp_agent.ini",
        "l3_agent.ini",
        "metadata_agent.ini",
    ];
    let texts = trees
        .each_ref()
        .map(|tree| files.map(|file| fs::read_to_string(tree.path(file)).unwrap()));
    for number in 0..MUTANTS {
        let (tree, file) = (number % trees.len(), random.below(files.len()));
        let text = random.mutate(&texts[tree][file]);
        fs::write(trees[tree].path(files[file]), &text).unwrap();
        let begin = Instant::now();
        let roles = [Role::Dhcp, Role::L3, Role::Metadata];
        let loaded = load(&trees[tree].asked(&files.join(" "), &roles));
        assert!(begin.elapsed() < Duration::from_secs(5), "{text}");
        let told = loaded
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Refused);
        assert_eq!(loaded.configured.is_none(), told, "{text}");
        for problem in &loaded.problems {
            let line = problem.to_string();
            assert!(
                !line.contains('\n') && line.chars().count() < 1000,
                "{line}"
            );
        }
        if told {
            refused += 1;
        } else {
            taken += 1;
        }
        fs::write(trees[tree].path(files[file]), &texts[tree][file]).unwrap();
    }
    assert!(
        taken > 100 && refused > 100,
        "{taken} taken, {refused} refused"
    );
}

#[test]
fn files_that_grow_are_read_in_time() {
    let tree = Tree::new("debian");
    let begin = Instant::now();
    for text in [
        "[DEFAULT]\n".to_owned() + &"dns_domain = x\n".repeat(100_000),
        "[DEFAULT]\nhost = x\n".to_owned() + &"  y\n".repeat(500_000),
        (0..50_000)
            .map(|number| format!("[section{number}]\noption{number} = {number}\n"))
            .collect(),
        "[DEFAULT]\n".to_owned()
            + &(0..50_000)
                .map(|number| format!("unheard_of_{number} = 1\n"))
                .collect::<String>(),
        "[DEFAULT]\nextensions = a".to_owned() + &",a".repeat(500_000),
        "[agent]\nextensions = a".to_owned()
            + &(0..100_000)
                .map(|number| format!(",a{number}"))
                .collect::<String>(),
        "[DEFAULT]\ndnsmasq_dns_servers = ".to_owned()
            + &(0..100_000)
                .map(|number| {
                    format!(
                        "10.{}.{}.{},",
                        number / 65536,
                        number / 256 % 256,
                        number % 256
                    )
                })
                .collect::<String>(),
        "[DEFAULT]\ntransport_url = rabbit://".to_owned() + &"u:p@h,".repeat(100_000),
    ] {
        fs::write(tree.path("own.conf"), text).unwrap();
        let loaded = load(&tree.asked(
            "neutron.conf own.conf",
            &[Role::Dhcp, Role::L3, Role::Metadata],
        ));
        assert!(!loaded.problems.is_empty());
    }
    assert!(
        begin.elapsed() < Duration::from_secs(60),
        "{:?}",
        begin.elapsed()
    );
}
