"""What a file says of its origin: told in words, signed or not, and never part of the score."""

import datetime
import io
import json
from pathlib import Path

import pytest
from cli import edgeproof
from deploy_fixture import Deployed, build_deployed
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deploy.provenance import provenance_of

TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" %s</rdf:RDF></x:xmpmeta>"""
ATTRIBUTE = XMP % f'Iptc4xmpExt:DigitalSourceType="{TERM}trainedAlgorithmicMedia"/>'
ELEMENT = XMP % (
    f"><Iptc4xmpExt:DigitalSourceType>{TERM}digitalCapture</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
)


def photo(path: Path, xmp: str | None = None) -> Path:
    options: dict[str, object] = {"xmp": xmp.encode()} if xmp else {}
    if xmp and path.suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        options = {"pnginfo": info}
    Image.new("RGB", (48, 40), "teal").save(path, **options)
    return path


def signer():
    """A signer whose certificate a root made here vouches for; nobody trusts it."""
    c2pa = pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(of: str) -> x509.Name:
        pairs = (
            (NameOID.COUNTRY_NAME, "CH"),
            (NameOID.ORGANIZATION_NAME, "Maker"),
            (NameOID.COMMON_NAME, of),
        )
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])

    def certificate(of: str, key: ec.EllipticCurvePrivateKey) -> bytes:
        ca, now = of == "root", datetime.datetime.now(datetime.UTC)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder(name("root"), name(of), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
            )
        )
        if not ca:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    secret = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = certificate("leaf", own) + certificate("root", root)
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, secret, None))


def signed(source: Path, target: Path, source_type: str | None) -> Path:
    c2pa = pytest.importorskip("c2pa")
    action = {"action": "c2pa.created", "digitalSourceType": TERM + (source_type or "digitalCreation")}
    actions = [action] if source_type else [{"action": "c2pa.opened"}]
    manifest = {
        "claim_generator_info": [{"name": "test", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}] if source_type else [],
    }
    out = io.BytesIO()
    c2pa.Builder(manifest).sign(signer(), "image/jpeg", io.BytesIO(source.read_bytes()), out)
    target.write_bytes(out.getvalue())
    return target


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_iptc_is_told_in_words(tmp_path: Path, suffix: str) -> None:
    (claim,) = provenance_of(photo(tmp_path / f"a.{suffix}", ATTRIBUTE))
    assert (claim.kind, claim.source_type, claim.signature) == ("iptc", "trainedAlgorithmicMedia", None)
    assert claim.text == "made by a trained model (trainedAlgorithmicMedia); IPTC metadata, unsigned"
    (claim,) = provenance_of(photo(tmp_path / f"b.{suffix}", ELEMENT))
    assert claim.source_type == "digitalCapture" and "digital camera" in claim.text


@pytest.mark.parametrize("content", [None, b"", b"no photo"])
def test_a_file_that_says_nothing_is_told_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = photo(tmp_path / "a.jpg")
    if content is not None:
        path.write_bytes(content)
    assert provenance_of(path) == ()
    assert provenance_of(tmp_path / "gone.jpg") == ()
    assert provenance_of(photo(tmp_path / "b.jpg", "<broken")) == ()


def test_a_signed_credential_tells_who_signed_and_whether_it_holds(tmp_path: Path) -> None:
    path = signed(photo(tmp_path / "a.jpg"), tmp_path / "signed.jpg", "trainedAlgorithmicMedia")
    (claim,) = provenance_of(path)
    assert (claim.kind, claim.source_type) == ("c2pa", "trainedAlgorithmicMedia")
    assert (claim.signer, claim.signature) == ("Maker", "Valid")
    assert claim.text.startswith("made by a trained model (trainedAlgorithmicMedia); C2PA, signed by Maker, ")
    data = bytearray(path.read_bytes())
    data[-40] ^= 0xFF  # a pixel
    path.write_bytes(data)
    (claim,) = provenance_of(path)
    assert claim.signature == "Invalid" and "changed since then" in claim.text


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def test_the_score_is_the_same_with_and_without(deployed: Deployed, tmp_path: Path) -> None:
    plain, said = photo(tmp_path / "plain.png"), photo(tmp_path / "said.png", ATTRIBUTE)
    folder = deployed.folder / "fp32"
    result = edgeproof("predict", folder, plain, said, "--json", "--provenance", "--runtime", "onnxruntime")
    first, second = json.loads(result.stdout)
    assert first["provenance"] == [] and second["provenance"][0]["source_type"] == "trainedAlgorithmicMedia"
    assert (first["logit"], first["label"]) == (second["logit"], second["label"])
