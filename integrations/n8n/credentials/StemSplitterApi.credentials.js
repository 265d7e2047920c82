"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.StemSplitterApi = void 0;
var StemSplitterApi = /** @class */ (function () {
    function StemSplitterApi() {
        this.name = 'stemSplitterApi';
        this.displayName = 'Stem Splitter API';
        this.icon = { light: 'file:../icons/stemsplitter.svg', dark: 'file:../icons/stemsplitter.dark.svg' };
        this.documentationUrl = 'https://github.com/stemsplitter/stemsplitter/tree/main/integrations/n8n#credentials';
        this.properties = [
            {
                displayName: 'Base URL',
                name: 'baseUrl',
                type: 'string',
                default: '',
                required: true,
                placeholder: 'https://stems.example.com',
                description: 'Address of the server, without /v1',
            },
            {
                displayName: 'API Key',
                name: 'apiKey',
                type: 'string',
                typeOptions: { password: true },
                default: '',
                required: true,
            },
            {
                displayName: 'Webhook Signing Secret',
                name: 'webhookSecret',
                type: 'string',
                typeOptions: { password: true },
                default: '',
                description: 'Needed by the trigger only: the secret with which the server signs webhooks',
            },
        ];
        this.authenticate = {
            type: 'generic',
            properties: { headers: { Authorization: '=Bearer {{$credentials.apiKey}}' } },
        };
        this.test = {
            request: {
                baseURL: '={{$credentials.baseUrl.replace(/\\/+$/, "")}}',
                url: '/v1/credits',
            },
        };
    }
    return StemSplitterApi;
}());
exports.StemSplitterApi = StemSplitterApi;
