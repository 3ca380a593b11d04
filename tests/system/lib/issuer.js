// SPDX-License-Identifier: MIT
// A gateway that takes tokens (JWT) from somebody else's login, and that login.
import fs from 'node:fs/promises';
import path from 'node:path';

import { makeFolder, startGateway } from './gateway.js';
import { makeKey, signToken } from './jwt.js';
import { Person } from './person.js';

const now = () => Math.floor(Date.now() / 1000);

export class Issuer {
  #key = makeKey('HS256');

  async options(t) {
    const file = path.join(await makeFolder(t), 'jwt.key');
    await fs.writeFile(file, this.#key.file, { mode: 0o600 });
    return {
      'auth.methods': 'jwt',
      'auth.jwt_key': file,
      'auth.jwt_algorithm': 'HS256',
      'auth.jwt_claim': 'user_id',
      'auth.jwt_name_claim': 'name',
      'auth.jwt_skew': '0s',
    };
  }

  // A token of a user for some seconds; `claims` are further ones.
  token(user, seconds = 600, claims = {}) {
    return signToken('HS256', this.#key.signing, { user_id: user, exp: now() + seconds, ...claims });
  }

  // One that somebody else has signed.
  forged(user) {
    return signToken('HS256', makeKey('HS256').signing, { user_id: user, exp: now() + 600 });
  }

  // The user at a gateway, by the nereid protocol.
  person(gateway, user, claims) {
    const token = this.token(user, 600, claims);
    return new Person(gateway, user, { authorization: `Bearer ${token}` });
  }
}

export async function startWithIssuer(t, options = {}) {
  const issuer = new Issuer();
  const gateway = await startGateway(t, { ...(await issuer.options(t)), ...options });
  return { gateway, issuer };
}
