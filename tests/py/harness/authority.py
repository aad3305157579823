"""Certificates: a CA of the test's own, those that it signs, and those that sign themselves."""

import subprocess


class Authority:
    """A CA whose certificate is in `file`."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.pem"
        self.openssl("req", "-x509", *self.new_key(name), "-out", self.file, "-days", "2", "-subj", f"/CN={name}")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                self.folder / f"{name}.key"]

    def server_options(self, name, host="DNS:localhost", days=2, use="serverAuth"):
        """What makes a server of ours speak TLS with a new certificate for `host`."""
        request, file = self.folder / f"{name}.csr", self.folder / f"{name}.crt"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={host}\nbasicConstraints=critical,CA:FALSE\n"
                              f"extendedKeyUsage={use}\n")
        self.openssl("req", *self.new_key(name), "-out", request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", f"{self.name}.key",
                     "-CAcreateserial", "-extfile", extensions, "-days", str(days), "-out", file)
        return ["--tls-cert", str(file), "--tls-key", str(self.folder / f"{name}.key")]

    def signs_itself(self, name, *extensions, days=2):
        """The options of a server whose certificate is nobody else's, as `openssl req -x509` makes it."""
        file = self.folder / f"{name}.crt"
        more = [part for extension in extensions for part in ("-addext", extension)]
        self.openssl("req", "-x509", *self.new_key(name), "-out", file, "-days", str(days), "-subj",
                     f"/CN={name}", *more)
        return ["--tls-cert", str(file), "--tls-key", str(self.folder / f"{name}.key")]
