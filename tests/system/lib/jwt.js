// SPDX-License-Identifier: MIT
// Signed tokens by node:crypto, in RFC 7515's compact form, good and bad.
import crypto from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

const hashes = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' };

function signatureOf(algorithm, key, text) {
  switch (algorithm) {
    case 'RS256':
      return crypto.sign('sha256', text, key);
    case 'ES256':
      return crypto.sign('sha256', text, { key, dsaEncoding: 'ieee-p1363' });
    case 'EdDSA':
      return crypto.sign(null, text, key);
    default:
      return crypto.createHmac(hashes[algorithm], key).update(text).digest();
  }
}

// `algorithm` signs; `header` may claim something else.
export function signToken(algorithm, key, claims, header = {}) {
  const text = `${encode({ alg: algorithm, typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${text}.${signatureOf(algorithm, key, Buffer.from(text)).toString('base64url')}`;
}

export function unsignedToken(alg, claims, signature = '') {
  return `${encode({ alg, typ: 'JWT' })}.${encode(claims)}.${signature}`;
}

const keyTypes = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

// { secret key to sign with, PEM or secret text for the file }
export function makeKey(algorithm) {
  if (hashes[algorithm]) {
    const secret = crypto.randomBytes(48).toString('base64');
    return { signing: secret, file: secret };
  }
  const [type, options] = keyTypes[algorithm];
  const { privateKey, publicKey } = crypto.generateKeyPairSync(type, options);
  return { signing: privateKey, file: publicKey.export({ type: 'spki', format: 'pem' }), public: publicKey };
}
