<?xml version="1.0" encoding="UTF-8"?>
<!-- GetGradients: the ten links nearest to their capacity, whole rows. A failed link has none: what is on it comes
     first. Of the ten of each branch the ten of all are taken, so there is one form. -->
<xsl:stylesheet version="1.0" g:forms="same" exclude-result-prefixes="g"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:g="urn:gossip-ws:2026" xmlns:r="urn:gossip-ws:2026:routing">
  <xsl:template match="/">
    <r:GetGradientsResponse>
      <r:GetGradientsResult>
        <xsl:for-each select="/g:Replies/g:Reply/r:GetGradientsResponse/r:GetGradientsResult/r:Gradient">
          <xsl:sort select="r:load div (r:capacity + 0.001)" data-type="number" order="descending"/>
          <xsl:if test="position() &lt;= 10"><xsl:copy-of select="."/></xsl:if>
        </xsl:for-each>
      </r:GetGradientsResult>
    </r:GetGradientsResponse>
  </xsl:template>
</xsl:stylesheet>
