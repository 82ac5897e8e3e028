//! A machine without an operating system: what its ROMs do when it is switched on.

use std::time::Duration;

use super::common::{Host, Running, wait_until};

/// Which ROM asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// A BIOS, and iPXE in the network card.
    Bios,
    /// A UEFI that boots by PXE of its own, the network card without a ROM.
    UefiPxe,
    /// The same over IPv6.
    UefiPxe6,
    /// A UEFI that boots over HTTP.
    UefiHttp,
}

/// Switched off when it is dropped.
pub(crate) struct Machine {
    running: Running,
}

/// An emulated machine on a busy one: what takes a second in a rack takes many here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Machine {
    /// With one network card, on this bridge.
    pub(crate) fn on(host: &Host, name: &str, bridge: &str, mac: &str, firmware: Firmware) -> Self {
        host.ip(&format!(
            "tuntap add {name} mode tap\nlink set {name} master {bridge} up"
        ));
        let card = format!("virtio-net-pci,netdev=lan,mac={mac}");
        let card = match firmware {
            Firmware::Bios => card,
            Firmware::UefiPxe | Firmware::UefiPxe6 | Firmware::UefiHttp => card + ",romfile=",
        };
        let tap = format!("tap,id=lan,ifname={name},script=no,downscript=no");
        let vars = format!("/run/{name}.vars");
        let flash = format!("if=pflash,format=raw,file={vars}");
        let mut argv = vec![
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-m",
            "256",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-monitor",
            "none",
            "-boot",
            "n",
            "-netdev",
            &tap,
            "-device",
            &card,
        ];
        match firmware {
            // The BIOS' screen is its serial line then.
            Firmware::Bios => argv.extend(["-machine", "pc,graphics=off"]),
            Firmware::UefiPxe | Firmware::UefiPxe6 | Firmware::UefiHttp => {
                let copy = ["cp", "/usr/share/OVMF/OVMF_VARS_4M.fd", &vars];
                host.run(&copy).ok();
                argv.extend([
                    "-machine",
                    "q35",
                    "-drive",
                    "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                    "-drive",
                    &flash,
                    "-device",
                    "virtio-rng-pci",
                ]);
                if firmware != Firmware::UefiPxe6 {
                    argv.extend(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
                }
                if firmware != Firmware::UefiPxe {
                    argv.extend(["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]);
                }
            }
        }
        Self {
            running: host.spawn(&argv),
        }
    }

    /// Waits until its serial line has shown this.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        let shown = wait_until(PATIENCE, || {
            self.running.log().contains(text) || !self.running.is_alive()
        });
        let log = self.running.log();
        assert!(
            shown && log.contains(text),
            "the machine did not show {text:?}:\n{log}"
        );
    }
}
