// SPDX-License-Identifier: MIT
// Where the pages are as `make` puts them together, npm's libraries included: beside the program under test, or in
// $NEREIDD_DATA.
import path from 'node:path';

import { program } from './gateway.js';

const data = process.env.NEREIDD_DATA ?? path.join(path.dirname(program), '..', 'data');

// For http.www: the chat page and the client library.
export const www = path.join(data, 'www');

// For admin.www: the operator's page.
export const operator = path.join(data, 'operator');
